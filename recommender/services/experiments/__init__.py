"""Variants of serving compared by what visitors do: who gets which, what was shown, what came of it, and when to stop.

assignment  which variant a visitor is served by
answers     what was shown, written down
outcomes    clicks, carts and purchases of what was shown
comparing   differences, and when they are certain
results     what an experiment has found
life        experiments start and stop
watch       a live run that fails is taken back
off_policy  what another run would have brought
"""
