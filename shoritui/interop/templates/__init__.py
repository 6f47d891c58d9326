"""Prompt templates: SillyTavern's and others' are kept, and ours are written for SillyTavern.

import_template(path)       KeptTemplate(...): what becomes of it; None if it is none
kept_instructions()         the instructions that came with them, for `/instruction`
kept_templates()              the templates themselves, for `shoritui export --all`
write_templates(folder)     BlockML as Context and Instruct, for one character and for groups
"""

from __future__ import annotations

from shoritui.interop.templates.read import (
    KeptTemplate,
    Template,
    fitted,
    import_template,
    kept_instructions,
    kept_templates,
    template_folder,
    templates_of,
)
from shoritui.interop.templates.write import (
    FOR_GROUPS,
    JOIN_PREFIX,
    JOIN_SUFFIX,
    context_template,
    instruct_template,
    system_template,
    write_templates,
)

__all__ = [
    "FOR_GROUPS",
    "JOIN_PREFIX",
    "JOIN_SUFFIX",
    "KeptTemplate",
    "Template",
    "context_template",
    "fitted",
    "import_template",
    "instruct_template",
    "kept_instructions",
    "kept_templates",
    "system_template",
    "template_folder",
    "templates_of",
    "write_templates",
]
