#!/bin/sh
exec sed -i 's/replicas: 2/replicas: 7/; s/name: raw/name: edited/' "$1"
