# INPUT, a SPIR-V file -> OUTPUT, its words as C numbers. SPIR-V is little-endian as glslang writes it.
file(READ ${INPUT} bytes HEX)
string(REGEX REPLACE "(..)(..)(..)(..)" "0x\\4\\3\\2\\1," words "${bytes}")
# Lines of 16 words, so that compilers and people can read it.
set(word "0x........,")
string(REGEX REPLACE "(${word}${word}${word}${word}${word}${word}${word}${word})" "\\1\n" words "${words}")
file(WRITE ${OUTPUT} "${words}\n")
