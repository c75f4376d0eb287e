// SPDX-License-Identifier: Apache-2.0
// See inflate.h. C++, as libsnappy's C functions take nothing but whole input, and captures are cut.
#include <snappy-sinksource.h>
#include <snappy.h>
#include <string.h>

namespace {

// Takes what fits.
class Bounded : public snappy::Sink {
      public:
	Bounded(char *out, size_t size) : out_(out), size_(size) {}
	void Append(const char *bytes, size_t n) override
	{
		if (n > size_ - used_)
			n = size_ - used_;
		memcpy(out_ + used_, bytes, n);
		used_ += n;
	}
	size_t used() const { return used_; }

      private:
	char *out_;
	size_t size_, used_ = 0;
};

} // namespace

extern "C" size_t inflate_snappy(const uint8_t *in, size_t length, uint8_t *out, size_t size);

// What the library allocates is what the input gives, at most 64 bytes for three.
size_t inflate_snappy(const uint8_t *in, size_t length, uint8_t *out, size_t size)
{
	snappy::ByteArraySource source(reinterpret_cast<const char *>(in), length);
	Bounded sink(reinterpret_cast<char *>(out), size);

	snappy::UncompressAsMuchAsPossible(&source, &sink);
	return sink.used();
}
