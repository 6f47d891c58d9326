"""Write the guide's tables anew from the code: `python -m tests.guide`."""

from tests.guide.tables import generated
from tests.guide.test_guide import FOLDER

for page in FOLDER.glob("*.md"):
    page.write_text(generated(page.read_text(encoding="utf-8")), encoding="utf-8")
