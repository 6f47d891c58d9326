"""The real app in a pty while its disk is full, its library locked, its chat deleted, and so on.

python -m tests.faults [full locked deleted gone two-apps] [--acts N] [--seed S]
"""
