"""Kill -9 at random points under load: `python -m tests.kill --rounds 200 [--seed S]`.

Whatever was said to be on the disk is there afterwards, everything opens, no process of a dead one
lives on, and the next window sweeps up. What is killed, in turn: the app in a real terminal, before
a reply's first word and in the middle of one; its worker; two processes that do everything a story
allows; a library that is brought up to date; `say`; a backup; a copy that is restored; an import;
an export of everything, and of an adapter; settings that are saved; a training run, or its watcher.
"""
