/* SPDX-License-Identifier: Apache-2.0 */
void tiny(void);
void tiny(void)
{
}
