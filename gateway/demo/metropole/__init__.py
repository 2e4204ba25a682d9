"""The Métropole's communes on a Monday morning: releases made, changed and undone under load.

`files` writes the communes, `stage` sets them up, `load` sends as citizens, `acts` operates by the
command line, `play` combines them and counts.
"""
