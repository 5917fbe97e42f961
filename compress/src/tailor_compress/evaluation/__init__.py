# SPDX-License-Identifier: Apache-2.0
"""Quality of variants on the test sets, with intervals and floors."""
