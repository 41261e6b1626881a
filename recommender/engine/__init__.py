"""Learning and ranking on arrays. No Django, Celery or Redis from here down.

Shape letters used in every docstring below this package:

    U users   N items   E events   B batch   L length of a history   D dimensions   K results

`*_row` is a position in an array (int32), `*_id` the outside world's name for it. A higher score always means more.
"""
