# SPDX-License-Identifier: Apache-2.0
"""Makes the families of variants that Tailor serves.

The stages, in order: ``data`` (corpus to task), ``model`` (checkpoint to trimmed start),
``training`` (teacher and student), ``evaluation`` (quality with intervals) and ``export`` (the
folder that the server reads). ``family`` runs them all from one recipe.
"""

__version__ = "0.1.0"
