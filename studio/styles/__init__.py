"""The predefined styles: one TOML file a category, checked as they are read. Standard library only.

An operator adds his own as files of the same kind in the folder `styles/` of the data folder.
"""

from studio.styles.catalogue import Styles as Styles
from studio.styles.catalogue import read_styles as read_styles
from studio.styles.catalogue import style_of as style_of
from studio.styles.style import Category as Category
from studio.styles.style import Style as Style
