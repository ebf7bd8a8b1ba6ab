/* SPDX-License-Identifier: Apache-2.0 */
/* The reader in the grammar GRAMMAR: every entry is whole text, every fault is counted. */
#include <assert.h>
#include <string.h>

#include "libcommon/sys/ini.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct faults faults;
	struct ini ini;
	bool ok;

	faults_init(&faults);
	ok = ini_parse_text(&ini, GRAMMAR, "fuzz", (const char *)bytes, size, &faults);
	assert(ok == (faults.count == 0));
	assert((faults_text(&faults)[0] != '\0') == (faults.count > 0));
	for (size_t i = 0; i < ini.count; i++) {
		assert(ini.entries[i].line > 0);
		assert(strlen(ini.entries[i].name) + strlen(ini.entries[i].value) <= 2 * size);
	}
	ini_fini(&ini);
	faults_fini(&faults);
	return 0;
}
