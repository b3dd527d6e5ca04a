import Testing

@testable import Inventory

struct NamesTests {
    @Test(arguments: [
        "SKU-1", "a", "A.b_c@d", String(repeating: "x", count: 64), "a b", "a/b", "a~b", "{a}", "ü",
        "100 % {wool}/Größe~7E",
    ])
    func skus(_ text: String) throws {
        let sku = try #require(SKU(text))
        #expect(sku.text == text && SKU(code: sku.code) == sku)
        #expect(sku.code.utf8.allSatisfy { SKU.isNameByte($0) || $0 == UInt8(ascii: "~") })
        #expect(StockID("\(sku.code)~0123456789abcdef0123")?.sku == sku)
    }

    @Test(arguments: [
        "", " a", "a ", "a\n", "a\tb", "a\u{2028}b", "order", "0b0ef6d4-9b1d-4b7b-8d4c-2f3f4b5c6d7e",
        "0B0EF6D4-9B1D-4B7B-8D4C-2F3F4B5C6D7E", String(repeating: "x", count: 65), String(repeating: "ü", count: 33),
    ])
    func noSKUs(_ text: String) { #expect(SKU(text) == nil) }

    /// What is not what `code` makes, so that no two codes name one SKU.
    @Test(arguments: ["a b", "a~", "a~2", "a~2g", "a~2f", "a~41", "~C3", "~FF", "order", "~0A"])
    func noCodes(_ text: String) { #expect(SKU(code: text) == nil) }

    /// Two spellings of an umlaut look the same and are two texts, in Redis and here.
    @Test func skusAreTheirBytes() { #expect(SKU("\u{FC}") != SKU("u\u{308}")) }

    @Test func idsCarryTheirSKU() {
        let id = StockID("SKU-1~0123456789abcdef0123")
        #expect(id?.sku?.text == "SKU-1" && id?.suffix == "0123456789abcdef0123")
        #expect(id?.description == "SKU-1~0123456789abcdef0123")
        let order = StockID("order~0123456789abcdef0123")
        #expect(order?.sku == nil && order?.description == "order~0123456789abcdef0123")
        for text in [
            "SKU-1", "SKU-1~", "~0123456789abcdef0123", "SKU-1~0123456789ABCDEF0123", "a b~0123456789abcdef0123",
        ] {
            #expect(StockID(text) == nil, "\(text)")
        }
    }
}
