// SPDX-License-Identifier: Apache-2.0
//
// A static program that ends at once: what the machine itself needs to start a process.
int main(void) { return 0; }
