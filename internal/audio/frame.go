package audio

// frame is one frame of MPEG audio or of AAC in ADTS.
type frame struct {
	format   Format
	codec    string
	kind     uint32 // the header bits that all frames of a stream share
	length   int    // bytes, header included
	samples  int    // per channel
	rate     int
	channels int
	side     int // where a Xing header stands in the frame; zero for none
}

// frameHeaderLength is the longer of the two headers.
const frameHeaderLength = 7

// readFrame reads the frame header at the beginning of b.
func readFrame(b []byte) (frame, bool) {
	if len(b) < 4 || b[0] != 0xff || b[1]&0xe0 != 0xe0 {
		return frame{}, false
	}
	if b[1]&0xf6 == 0xf0 {
		return readADTS(b)
	}
	return readMPEG(b)
}

// Bit rates in kbit/s by version (1, or 2 and 2.5) and layer (I, II, III):
// ISO/IEC 11172-3 and 13818-3, table "bitrate_index".
var mpegBitRates = [2][3][15]int{
	{
		{0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448},
		{0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},
		{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
	},
	{
		{0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256},
		{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
		{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
	},
}

var mpegCodecs = [3]string{"mp1", "mp2", "mp3"}

var mpegRates = [3]int{44100, 48000, 32000}

// readMPEG reads a header of MPEG-1, 2 or 2.5. Free format, whose frames do
// not tell their length, is refused.
func readMPEG(b []byte) (frame, bool) {
	version, layer := b[1]>>3&3, 4-int(b[1]>>1&3) // 0 is version 2.5, 2 is 2, 3 is 1
	rateIndex, bitIndex, padding := b[2]>>2&3, b[2]>>4, int(b[2]>>1&1)
	if version == 1 || layer == 4 || rateIndex == 3 || bitIndex == 0 || bitIndex == 15 || b[3]&3 == 2 {
		return frame{}, false
	}
	f := frame{
		format: MP3, codec: mpegCodecs[layer-1], channels: 2,
		kind: uint32(b[1]&0x1e)<<8 | uint32(b[2]&0x0c),
		rate: mpegRates[rateIndex] >> [4]int{2, 0, 1, 0}[version],
	}
	if b[3]>>6 == 3 {
		f.channels = 1
	}
	half := 1 // MPEG-2 and 2.5 halve the frame of layer III
	if version != 3 {
		half = 2
	}
	bitRate := 1000 * mpegBitRates[half-1][layer-1][bitIndex]
	switch layer {
	case 1:
		f.samples, f.length = 384, (12*bitRate/f.rate+padding)*4
	case 2:
		f.samples, f.length = 1152, 144*bitRate/f.rate+padding
	default:
		f.samples, f.length = 1152/half, 144/half*bitRate/f.rate+padding
		f.side = xingOffset(half == 1, f.channels == 1)
	}
	return f, f.length >= 4
}

// freeFormat holds for an MPEG header whose bit rate is given nowhere.
func freeFormat(b []byte) bool {
	if len(b) < 4 || b[0] != 0xff || b[1]&0xe0 != 0xe0 || b[1]&0xf6 == 0xf0 || b[2]>>4 != 0 {
		return false
	}
	_, ok := readMPEG([]byte{b[0], b[1], b[2] | 0x10, b[3]})
	return ok
}

var adtsRates = [13]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

// readADTS reads a header of ISO/IEC 13818-7, section 6.2.
func readADTS(b []byte) (frame, bool) {
	if len(b) < frameHeaderLength {
		return frame{}, false
	}
	rateIndex := b[2] >> 2 & 15
	length := int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5])>>5
	if int(rateIndex) >= len(adtsRates) || length < frameHeaderLength {
		return frame{}, false
	}
	channels := int(b[2]&1)<<2 | int(b[3])>>6
	if channels == 7 {
		channels = 8
	}
	return frame{
		format: AAC, codec: "aac", length: length, channels: channels, rate: adtsRates[rateIndex],
		kind:    uint32(b[1]&0xfe)<<16 | uint32(b[2]&0xfd)<<8 | uint32(b[3]&0xf0),
		samples: 1024 * (int(b[6]&3) + 1),
	}, true
}
