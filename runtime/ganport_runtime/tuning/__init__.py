"""Measures every plan of a bundle on this machine within an accuracy budget, and remembers the results.

`tuner.tune` measures, `record` keeps and finds the results. Opening a bundle imports the record alone.
"""
