from .cockpit import Cockpit as Cockpit
from .cockpit import training_cockpit as training_cockpit
from .dials import gradient_explorer as gradient_explorer
from .dials import simplex_explorer as simplex_explorer
from .embedding import embedding_explorer as embedding_explorer
from .explorer import Explorer as Explorer
from .explorer import Twin as Twin
from .rows import row_explorer as row_explorer
