# SPDX-License-Identifier: Apache-2.0
wordcountdir = $(docdir)/examples/wordcount
dist_wordcount_SCRIPTS = examples/wordcount/run examples/wordcount/shard examples/wordcount/merge \
	examples/wordcount/demo
# Examples to read and change: they have no --help and no --version.
AM_INSTALLCHECK_STD_OPTIONS_EXEMPT = $(dist_wordcount_SCRIPTS)
dist_wordcount_DATA = examples/wordcount/README.md examples/wordcount/shards.job examples/wordcount/merge.job
