/// An address of mail with the name to show beside it: `Ada Lovelace <ada@example.com>` or `ada@example.com`.
///
/// It cannot hold what would end a header or an SMTP command.
public struct Mailbox: Sendable, Equatable {
    /// Any text; nil or empty for none.
    public let name: String?
    /// ASCII: a dotted word, `@`, a host name.
    public let address: String

    /// nil for anything else, quoted and international addresses included.
    public init?(_ text: String) {
        guard text.utf8.count <= 512, text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else { return nil }
        var name: Substring?
        var address = text[...]
        if let open = text.lastIndex(of: "<") {
            guard text.last == ">" else { return nil }
            address = text[text.index(after: open)...].dropLast()
            name = Mailbox.trimmed(text[..<open])
            guard name?.contains(where: { $0 == "<" || $0 == ">" }) == false else { return nil }
            if let quoted = name, quoted.count >= 2, quoted.first == "\"", quoted.last == "\"" {
                name = quoted.dropFirst().dropLast()
            }
        }
        guard Mailbox.isAddress(address) else { return nil }
        self.address = String(address)
        self.name = name.flatMap { $0.isEmpty ? nil : String($0) }
    }

    /// What stands behind the `@`.
    public var domain: String { String(address[address.index(after: address.lastIndex(of: "@")!)...]) }

    private static func isAddress(_ text: Substring) -> Bool {
        guard text.utf8.count <= 254, let at = text.lastIndex(of: "@") else { return false }
        let local = text[..<at]
        let domain = text[text.index(after: at)...]
        guard (1...64).contains(local.utf8.count), !domain.isEmpty else { return false }
        // RFC 5321's Dot-string and Domain.
        let words = local.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard words.allSatisfy({ !$0.isEmpty && $0.allSatisfy(isAtomByte) }) else { return false }
        let labels = domain.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return labels.allSatisfy { label in
            (1...63).contains(label.count) && label.first != 0x2D && label.last != 0x2D
                && label.allSatisfy { isAlphanumeric($0) || $0 == 0x2D }
        }
    }

    private static func isAtomByte(_ byte: UInt8) -> Bool {
        isAlphanumeric(byte) || "!#$%&'*+-/=?^_`{|}~".utf8.contains(byte)
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text
        while text.first == " " { text.removeFirst() }
        while text.last == " " { text.removeLast() }
        return text
    }
}
