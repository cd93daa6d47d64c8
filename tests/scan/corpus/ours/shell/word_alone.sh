#!/bin/sh
P=ci_workflows
./start "$P"
