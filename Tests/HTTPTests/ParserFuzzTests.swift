import Bytes
import Testing

@testable import HTTP

/// Seeded damage to the corpus. A failure prints the seed that repeats it.
@Suite struct ParserFuzzTests {
    private static let words = [
        "\r\n", "\n", "\r", " ", "\t", ":", ";", ",", "0", "\u{0}", "\r\n\r\n", "HTTP/1.1", "GET / HTTP/1.1\r\n",
        "Host: a\r\n", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n", "0\r\n\r\n",
        "Connection: close\r\n", "Expect: 100-continue\r\n", "ffffffffffffffff", "/", "*", "http://", "?",
    ].map { Array($0.utf8) }

    private static func mutated(_ random: inout SplitMix) -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0..<Int.random(in: 1...2, using: &random) {
            let example = CorpusCase.all.randomElement(using: &random)!.bytes
            bytes += example.count < 2000 || Int.random(in: 0..<50, using: &random) == 0 ? example : []
        }
        for _ in 0..<Int.random(in: 0...4, using: &random) where !bytes.isEmpty {
            let at = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0: bytes[at] = UInt8.random(in: 0...255, using: &random)
            case 1: bytes.remove(at: at)
            case 2: bytes.insert(contentsOf: words.randomElement(using: &random)!, at: at)
            case 3: bytes.removeSubrange(at..<min(bytes.count, at + Int.random(in: 1...16, using: &random)))
            case 4: bytes.insert(contentsOf: bytes[at..<min(bytes.count, at + 40)], at: at)
            default: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            }
        }
        return bytes
    }

    /// Never a crash, never a byte consumed beyond the end, never a body beyond its limit, and the same events however
    /// the bytes are cut.
    @Test(arguments: 1...16 as ClosedRange<UInt64>)
    func readsTheSameHoweverCut(seed: UInt64) {
        var random = SplitMix(state: seed)
        for round in 0..<400 {
            let bytes = ParserFuzzTests.mutated(&random)
            let whole = ParserRun(bytes)
            var cuts = (0..<Int.random(in: 1...6, using: &random)).map { _ in
                Int.random(in: 0...bytes.count, using: &random)
            }
            cuts.sort()
            if round % 20 == 0, bytes.count < 400 { cuts = Array(0..<bytes.count) }
            let pieces = ParserRun(bytes, cuts: cuts)
            guard whole.violation == nil, pieces == whole else {
                Issue.record("seed \(seed), round \(round), cuts \(cuts): \(pieces) is not \(whole)")
                return
            }
        }
    }
}

/// SplitMix64: a generator that a seed repeats.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
