"""Steps 7 and 8: from two embeddings to a verification score.

comparison    7 compare     the cosine of two embeddings
calibration   8 calibrate   the verification score, whose thresholds have stated false match rates
"""
