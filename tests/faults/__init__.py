"""The real app in a pty while its disk is full, its library locked, its chat deleted, and so on.

    python -m tests.faults [EVIL ...] [--acts N] [--only ACT,...] [--seed S]

An evil befalls the open app; then every act is done that has a key, with a text unsent in the
composer. What has to hold after each:

-   the app goes on, and shows no traceback;
-   what was unsent is in the composer, or has become a message;
-   a key comes through within seconds, even where each act waits for a library that is locked;
-   the log of faults holds no fault but the one that an act brings about, and no text of the story.

And for each evil:

-   the app has said what is wrong;
-   once the evil has ended, what is unsent comes to the disk without another key;
-   the app quits with 0; begun again it has the unsent text in the composer (or in the history,
    where the story was deleted; where nothing could be written, quitting has asked twice);
-   every message that was taken as said is in the library, which is sound.

The player waits for no time to pass: the app tells its terminal when it has nothing left to do.
"""
