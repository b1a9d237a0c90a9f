"""``airlift doctor``: is this machine fit for the work?"""
