"""Steps 3 to 6: from pixels to a portrait.

acquisition               how many of a photo's pixels its face needs
detection     3 detect    the largest face and its landmarks
candidates                what the detection network takes for faces, and which of them counts
turning                   which way is up
alignment     4 align     the face upright and centred, 112 x 112
recognition   5 embed     a unit vector, and how much of each region is visible
quality       6 quality   a refusal where eyes, nose or mouth are covered
network                   what these steps need of a loaded network
geometry                  similarity transforms and warping
"""
