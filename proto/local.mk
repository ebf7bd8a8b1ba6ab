# SPDX-License-Identifier: Apache-2.0
# Messages: C from the schemas by protoc-c. JSON comes from the same descriptors (libcommon/codec/pbjson.c).

PROTO_FILES = proto/corral.proto proto/api.proto
PROTO_BUILT = proto/corral.pb-c.c proto/corral.pb-c.h proto/api.pb-c.c proto/api.pb-c.h
EXTRA_DIST += $(PROTO_FILES)
BUILT_SOURCES += $(PROTO_BUILT)
CLEANFILES += $(PROTO_BUILT)

noinst_LIBRARIES += libproto.a
nodist_libproto_a_SOURCES = $(PROTO_BUILT)
# Generated code does not keep to our warnings.
libproto_a_CFLAGS = -std=gnu11 $(HARDEN_CFLAGS) $(SANITIZE_CFLAGS) $(PROTOBUF_C_CFLAGS)

proto/corral.pb-c.h: proto/corral.pb-c.c
proto/api.pb-c.h: proto/api.pb-c.c
proto/corral.pb-c.c: proto/corral.proto
	$(AM_V_GEN)$(MKDIR_P) proto && $(PROTOC_C) -I$(srcdir) --c_out=. $(srcdir)/proto/corral.proto
proto/api.pb-c.c: proto/api.proto proto/corral.proto
	$(AM_V_GEN)$(MKDIR_P) proto && $(PROTOC_C) -I$(srcdir) --c_out=. $(srcdir)/proto/api.proto

# BUILT_SOURCES are made before "all" and "check" only. With this they are there before whatever is asked for, one test
# program too: make looks at the files of dependencies first, as they are included.
DEPENDENCY_FILES = $(am__depfiles_remade)
$(DEPENDENCY_FILES): | $(PROTO_BUILT)
