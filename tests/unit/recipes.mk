# SPDX-License-Identifier: Apache-2.0
# The tests of what Apache's servers got wrong, once more with those bugs planted: each must fail then. The objects are
# the tests' own; only the core's files that have plants are compiled again.
check_LIBRARIES += libplanted.a
libplanted_a_SOURCES = tests/lib/plants.c \
	zkserver/core/adopt.c \
	zkserver/core/db.c \
	zkserver/core/epochs.c \
	zkserver/core/leader_learners.c \
	zkserver/core/leader_sync.c \
	zkserver/core/learner.c \
	zkserver/core/peer.c \
	zkserver/core/purge.c \
	zkserver/core/recover.c \
	zkserver/core/server_role.c \
	zkserver/core/snapshot.c \
	zkserver/core/tree.c \
	zkserver/core/txnlog.c \
	zkserver/core/txnlog_reader.c
libplanted_a_CPPFLAGS = $(AM_CPPFLAGS) -DZAB_PLANTS

# All of it goes before libzkcore.a, in which its files are without the plants.
WITH_PLANTS = $(AM_LDFLAGS) -Wl,--whole-archive,libplanted.a,--no-whole-archive

if !SANITIZE
TESTS += tests/unit/recipes.sh
endif
EXTRA_DIST += tests/unit/recipes.sh tests/unit/recipes

planted_programs = tests/unit/planted_zab_recipes \
	tests/unit/planted_zab_links \
	tests/unit/planted_ensemble_recipes \
	tests/unit/planted_recover \
	tests/unit/planted_txnlog \
	tests/unit/planted_epochs \
	tests/unit/planted_tree
check_PROGRAMS += $(planted_programs)

tests_unit_planted_zab_recipes_SOURCES =
tests_unit_planted_zab_recipes_LDFLAGS = $(WITH_PLANTS)
tests_unit_planted_zab_recipes_LDADD = $(tests_unit_zab_recipes_test_OBJECTS) $(ZKCORE_LIBS)
EXTRA_tests_unit_planted_zab_recipes_DEPENDENCIES = libplanted.a $(tests_unit_zab_recipes_test_OBJECTS)

tests_unit_planted_zab_links_SOURCES =
tests_unit_planted_zab_links_LDFLAGS = $(WITH_PLANTS)
tests_unit_planted_zab_links_LDADD = $(tests_unit_zab_links_test_OBJECTS) $(ZKCORE_LIBS)
EXTRA_tests_unit_planted_zab_links_DEPENDENCIES = libplanted.a $(tests_unit_zab_links_test_OBJECTS)

tests_unit_planted_ensemble_recipes_SOURCES =
tests_unit_planted_ensemble_recipes_LDFLAGS = $(WITH_PLANTS)
tests_unit_planted_ensemble_recipes_LDADD = $(tests_unit_ensemble_recipes_test_OBJECTS) $(ZKCORE_LIBS)
EXTRA_tests_unit_planted_ensemble_recipes_DEPENDENCIES = libplanted.a $(tests_unit_ensemble_recipes_test_OBJECTS)

tests_unit_planted_recover_SOURCES =
tests_unit_planted_recover_LDFLAGS = $(WITH_PLANTS)
tests_unit_planted_recover_LDADD = $(tests_unit_recover_test_OBJECTS) $(ZKCORE_LIBS)
EXTRA_tests_unit_planted_recover_DEPENDENCIES = libplanted.a $(tests_unit_recover_test_OBJECTS)

tests_unit_planted_txnlog_SOURCES =
tests_unit_planted_txnlog_LDFLAGS = $(WITH_PLANTS)
tests_unit_planted_txnlog_LDADD = $(tests_unit_txnlog_test_OBJECTS) $(ZKCORE_LIBS)
EXTRA_tests_unit_planted_txnlog_DEPENDENCIES = libplanted.a $(tests_unit_txnlog_test_OBJECTS)

tests_unit_planted_epochs_SOURCES =
tests_unit_planted_epochs_LDFLAGS = $(WITH_PLANTS)
tests_unit_planted_epochs_LDADD = $(tests_unit_epochs_test_OBJECTS) $(ZKCORE_LIBS)
EXTRA_tests_unit_planted_epochs_DEPENDENCIES = libplanted.a $(tests_unit_epochs_test_OBJECTS)

tests_unit_planted_tree_SOURCES =
tests_unit_planted_tree_LDFLAGS = $(WITH_PLANTS)
tests_unit_planted_tree_LDADD = $(tests_unit_tree_test_OBJECTS) $(ZKCORE_LIBS)
EXTRA_tests_unit_planted_tree_DEPENDENCIES = libplanted.a $(tests_unit_tree_test_OBJECTS)
