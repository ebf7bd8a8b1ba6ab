/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/codec/base64.h"

#include <string.h>

#include "tests/lib/unit.h"

START_TEST(the_vectors_of_rfc_4648_hold_both_ways)
{
	static const char *const plain[] = {"", "f", "fo", "foo", "foob", "fooba", "foobar"};
	static const char *const coded[] = {
	    "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
	char text[16];
	uint8_t bytes[16];
	size_t size;

	for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
		base64_encode(text, plain[i], strlen(plain[i]));
		ck_assert_str_eq(text, coded[i]);
		ck_assert(base64_decode(bytes, &size, coded[i], strlen(coded[i])));
		ck_assert_uint_eq(size, strlen(plain[i]));
		ck_assert_mem_eq(bytes, plain[i], size);
	}
}
END_TEST

START_TEST(only_what_the_encoder_writes_is_read)
{
	static const char *const bad[] = {"Zg",
	    "Zg=", "Zg===", "=Zg=", "Z===", "====", "Zh==", "Zm9=", "Zm 9", "Zm9v\n",
	    "Zg==Zg==", "Zm-_"};
	uint8_t bytes[16];
	size_t size;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(!base64_decode(bytes, &size, bad[i], strlen(bad[i])), "%s", bad[i]);
	ck_assert(!base64_decode(bytes, &size, "Zm\0v", 4));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("base64");
	TCase *t = tcase_create("base64");

	tcase_add_test(t, the_vectors_of_rfc_4648_hold_both_ways);
	tcase_add_test(t, only_what_the_encoder_writes_is_read);
	suite_add_tcase(s, t);
	return s;
}
