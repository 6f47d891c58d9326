"""How well a model tells stories: replies to scenes that it never saw, and what they are worth.

    stories      held-out stories, and the places in them at which a reply is asked for
    replies      the model at work: replies by way of the director, chances of what people wrote
    measures     one text, one number: form, length, prose, repetition
    grounding    the same against the prompt: names, things, what the cards say
    figures      all measures of all models, with confidence intervals
    page         the figures and every reply, as one page to read
    judge        what another model says of the replies, where one is named

PingPong (arXiv 2409.06820) has the criteria of the judge; counting stock phrases and repetition is
the habit of EQ-Bench's creative writing.
"""
