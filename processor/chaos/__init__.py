"""Do the promises hold while whatever runs is killed, frozen, cut off and restarted?"""
