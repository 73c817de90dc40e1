# SPDX-License-Identifier: MIT
"""What Socle's tools share. Python 3.9 or later, standard library only."""
