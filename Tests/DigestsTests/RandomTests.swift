import Bytes
import Glibc
import Testing

@testable import Digests

struct RandomTests {
    /// ChaCha20's keystream for the zero key and nonce (RFC 8439, appendix A.1, test vector 1): its first half becomes
    /// the next key, so the generator's first bytes are its second half.
    @Test func givesThePublishedKeystream() {
        let generator = KeystreamGenerator { memset($0, 0, $1) }
        var bytes = [UInt8](repeating: 0xFF, count: 32)
        bytes.withUnsafeMutableBytes { generator.fill($0) }
        let text = ByteBuffer()
        bytes.withByteView { text.append(hex: $0) }
        #expect(text.view.string == "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586")
    }

    @Test func theKeyIsReplacedAtEachRefill() {
        let generator = KeystreamGenerator { memset($0, 0, $1) }
        let usable = KeystreamGenerator.streamBytes - 32
        var first = [UInt8](repeating: 0, count: usable)
        var second = first
        first.withUnsafeMutableBytes { generator.fill($0) }
        second.withUnsafeMutableBytes { generator.fill($0) }
        #expect(first != second)
    }

    @Test func piecesAreTheWhole() {
        let whole = KeystreamGenerator { memset($0, 7, $1) }
        let pieces = KeystreamGenerator { memset($0, 7, $1) }
        var expected = [UInt8](repeating: 0, count: 5000)
        expected.withUnsafeMutableBytes { whole.fill($0) }
        var found: [UInt8] = []
        var size = 0
        while found.count < expected.count {
            var piece = [UInt8](repeating: 0, count: min(size, expected.count - found.count))
            piece.withUnsafeMutableBytes { pieces.fill($0) }
            found += piece
            size = (size + 13) % 70
        }
        #expect(found == expected)
    }

    @Test func bitsAreEvenlySpread() {
        let bytes = RandomBytes.array(100_000)
        for bit in 0..<8 {
            let ones = bytes.count { $0 >> bit & 1 == 1 }
            // Six standard deviations of a fair coin: 6 · √(100,000 / 4).
            #expect(abs(ones - 50_000) < 950)
        }
    }

    @Test func idsAreHexAndNeverRepeatOverThreads() async {
        let ids = await withTaskGroup(of: [String].self) { group in
            for _ in 0..<4 {
                group.addTask { (0..<10_000).map { _ in RandomID.hex(bytes: 8) } }
            }
            return await group.reduce(into: []) { $0 += $1 }
        }
        #expect(Set(ids).count == 40_000)
        #expect(ids.allSatisfy { $0.utf8.count == 16 && $0.utf8.allSatisfy { "0123456789abcdef".utf8.contains($0) } })
        let digits = Set(ids.flatMap { $0 })
        #expect(digits.count == 16)
    }

    @Test func appendsIDs() {
        let buffer = ByteBuffer()
        buffer.append("x")
        RandomID.appendHex(bytes: 16, to: buffer)
        #expect(buffer.count == 33)
        #expect(buffer.view[0] == 0x78)
        #expect(RandomID.hex(bytes: 0).isEmpty)
        #expect(RandomBytes.number() != RandomBytes.number())
    }
}
