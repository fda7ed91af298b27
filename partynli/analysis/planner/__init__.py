"""How wide the interval of a study's figure will be, predicted from a pilot, and what such a study takes."""
