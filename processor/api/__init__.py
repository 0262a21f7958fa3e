"""What is asked and told over HTTP: the API and the pages, a door as the command line is."""
