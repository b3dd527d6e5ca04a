import Bytes
import Digests
import Testing

private func hex(_ bytes: [UInt8]) -> String {
    let buffer = ByteBuffer()
    bytes.withByteView { buffer.append(hex: $0) }
    return buffer.view.string
}

private func sha256(_ text: String) -> String { text.withByteView { hex(SHA256.hash($0)) } }

/// The examples of FIPS 180-4 as NIST publishes them.
struct SHA256Tests {
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
        (
            "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
                + "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
            "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"
        ),
    ])
    func hashes(_ message: String, _ digest: String) {
        #expect(sha256(message) == digest)
    }

    @Test func aMillionTimesA() {
        let piece = [UInt8](repeating: 0x61, count: 1000)
        var hash = SHA256()
        for _ in 0..<1000 { piece.withByteView { hash.update($0) } }
        #expect(hex(hash.finish()) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    }

    @Test func piecesAreTheWhole() {
        let message = [UInt8]((0..<200).map { UInt8($0) })
        let whole = message.withByteView { SHA256.hash($0) }
        for split in 0...message.count {
            var hash = SHA256()
            message.withByteView {
                hash.update($0.slice(0, split))
                hash.update($0.slice(split, $0.count))
            }
            #expect(hash.finish() == whole)
        }
        var direct = [UInt8](repeating: 0, count: SHA256.byteCount)
        direct.withUnsafeMutableBufferPointer { target in
            message.withByteView { SHA256.hash($0, into: target.baseAddress!) }
        }
        #expect(direct == whole)
    }
}

/// The test cases of RFC 4231.
struct HMACSHA256Tests {
    @Test(arguments: [
        (
            [UInt8](repeating: 0x0B, count: 20), "Hi There",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        ),
        (
            [UInt8]("Jefe".utf8), "what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        ),
        (
            [UInt8](repeating: 0xAA, count: 131), "Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        ),
        (
            [UInt8](repeating: 0xAA, count: 131),
            "This is a test using a larger than block-size key and a larger than block-size data."
                + " The key needs to be hashed before being used by the HMAC algorithm.",
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"
        ),
    ])
    func authenticates(_ key: [UInt8], _ message: String, _ code: String) {
        let found = key.withByteView { key in message.withByteView { HMACSHA256.code(of: $0, key: key) } }
        #expect(hex(found) == code)
    }

    @Test func comparesSecrets() {
        func equal(_ left: String, _ right: String) -> Bool {
            left.withByteView { left in right.withByteView { constantTimeEquals(left, $0) } }
        }
        #expect(equal("", ""))
        #expect(equal("secret", "secret"))
        #expect(!equal("secret", "secreT"))
        #expect(!equal("Secret", "secret"))
        #expect(!equal("secret", "secret "))
    }
}
