"""The product as its users meet it: commands, wheel, README."""
