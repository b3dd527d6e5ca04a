import Testing

@testable import Inventory

struct NamesTests {
    @Test(arguments: ["SKU-1", "a", "A.b_c@d", String(repeating: "x", count: 64)])
    func skus(_ text: String) { #expect(SKU(text)?.text == text) }

    @Test(arguments: [
        "", "a b", "a/b", "a~b", "{a}", "ü", "order", "0b0ef6d4-9b1d-4b7b-8d4c-2f3f4b5c6d7e",
        "0B0EF6D4-9B1D-4B7B-8D4C-2F3F4B5C6D7E", String(repeating: "x", count: 65),
    ])
    func noSKUs(_ text: String) { #expect(SKU(text) == nil) }

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
