// SPDX-License-Identifier: Apache-2.0
// Sorts and fills containers without end: functions of templates inlined many deep.
#include <algorithm>
#include <map>
#include <string>
#include <vector>
#include "burn.h"

namespace store
{
template <typename K> class index
{
public:
	void add(K key, unsigned value)
	{
		entries[key] = std::to_string(value);
	}
	unsigned long bytes() const
	{
		unsigned long n = 0;

		for (const auto &entry : entries)
			n += entry.second.size();
		return n;
	}

private:
	std::map<K, std::string> entries;
};
} // namespace store

static unsigned long once(unsigned long seed)
{
	store::index<unsigned> index;
	std::vector<unsigned> keys;

	for (unsigned i = 0; i < 2000; i++) {
		keys.push_back((i ^ seed) * 0x9e3779b1u);
		index.add(keys.back() % 500, i);
	}
	std::sort(keys.begin(), keys.end(), [](unsigned a, unsigned b) { return a % 1000 < b % 1000; });
	return index.bytes() + keys[7];
}

int main()
{
	unsigned long sum = 0;

	tell_busy();
	while (cpu_s() < 1e9)
		sum += once(sum);
	return (int)sum;
}
