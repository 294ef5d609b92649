#!/bin/bash
# A short run of tests/soak/model.sh: what clients see agrees with etcd's history, through restarts of both.
QUIET=2 exec bash "$(dirname "$0")/../soak/model.sh" 10
