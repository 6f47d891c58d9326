"""Read axolotl's YAML files as a config, and write a config as axolotl's YAML files.

Every key of theirs is taken over, or a note says why it is not, or the file is refused. The names
and what they mean where they are not given are those of axolotl's own schema and trainer (its
version 0.18); axolotl need not be installed.

    config_of(files, target)    their files, in the order of training  ->  one config, and notes
    files_of(config)            one config  ->  a YAML file and the data of each tier, and a script
"""

from shoritui.finetune.axolotl.exporting import SCRIPT, files_of, notes_of, settings_of
from shoritui.finetune.axolotl.importing import config_of

__all__ = ["SCRIPT", "config_of", "files_of", "notes_of", "settings_of"]
