"""The Métropole's communes on a Monday morning: releases are made, changed and undone under load.

`files` writes the communes' files, `stage` starts everything, `load` sends requests, `acts` uses
the command line as an operator, `play` combines them and counts.
"""
