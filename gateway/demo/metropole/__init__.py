"""The Métropole's communes on a Monday morning: releases made, changed and taken back under load.

`files` writes the communes, `stage` sets them up, `load` has citizens send, `acts` does what an
operator does by the command line, `play` puts them together and counts.
"""
