import Services

/// What a rule's `match.identifier` must not say: an address, a block or a wildcard that is none would be taken for a
/// name, and a deny list with it would deny nobody.
enum IdentifierText {
    /// What is wrong with an identifier, nil when nothing is.
    static func problem(_ text: String) -> String? {
        let kind = Identity.Kind.allCases.first { text.hasPrefix("\($0.label):") }
        let value = kind.map { String(text.dropFirst("\($0.label):".count)) } ?? text
        if let kind, value.isEmpty { return "must name someone after \(kind.label):" }
        if text.contains("*") {
            return "must not have a *: names are compared whole, and addresses are named by blocks such as 10.0.0.0/8"
        }
        switch kind {
        case .ip: return AddressBlock(value) == nil ? notAnAddress : nil
        case .key, .user, .id: return nil
        case nil:
            let lowercased = text.lowercased()
            if let kind = Identity.Kind.allCases.first(where: { lowercased.hasPrefix("\($0.label):") }) {
                return "must begin with \(kind.label): in small letters"
            }
            guard looksLikeAddress(text), AddressBlock(text) == nil else { return nil }
            return notAnAddress + "; a name that looks like one is written id:…, user:… or key:…"
        }
    }

    private static let notAnAddress =
        "must be an address such as 192.0.2.1 or a block such as 10.0.0.0/8 or 2001:db8::/32"

    /// Whether somebody who wrote this meant an address, a block or a range of them.
    private static func looksLikeAddress(_ text: String) -> Bool {
        let start = text.prefix { $0 != "/" && $0 != "-" }
        let hasEnd = start.count < text.count
        let isDotted = !start.isEmpty && start.allSatisfy { $0.isASCII && ($0.isNumber || $0 == ".") }
        if isDotted, start.contains(".") || (hasEnd && text.contains("/")) { return true }
        let isHex = start.allSatisfy { $0.isHexDigit || $0 == ":" || $0 == "." }
        if isHex, start.contains("::") || (start.contains(":") && text.contains("/")) { return true }
        if start.contains("::"), text.contains("/") { return true }
        // 10.0.0.x
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0...1].allSatisfy { UInt8($0) != nil }
    }
}
