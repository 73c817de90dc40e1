# SPDX-License-Identifier: MIT
"""What tests/run is made of: each module finds one kind of test and knows how to run it."""
