"""Does every promise hold in runs that chance has planned?"""
