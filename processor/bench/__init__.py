"""How fast is it, on this machine, with everything on?"""
