"""What comes of bytes, lines and words that nobody of ours wrote?"""
