"""What holds after a kill, a freeze, a cut or a restore."""
