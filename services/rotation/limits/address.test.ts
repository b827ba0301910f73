import { networkOf } from "./address";

describe("by what attempts are counted", () => {
  it.each([
    ["10.1.2.3:50051", "10.1.2.3"],
    ["10.1.2.3", "10.1.2.3"],
    ["::ffff:10.1.2.3:50051", "10.1.2.3"],
    ["[::ffff:10.1.2.3]:50051", "10.1.2.3"],
    ["::FFFF:10.1.2.3", "10.1.2.3"],
  ])("IPv4, %s: its address", (peer, network) => {
    expect(networkOf(peer)).toBe(network);
  });

  it.each([
    "2001:db8:1:2:3:4:5:6",
    "2001:db8:1:2:3:4:5:6:50051",
    "2001:db8:1:2:3:4:5:6:5432",
    "2001:0DB8:0001:0002::9",
    "2001:db8:1:2::9:50051",
    "2001:db8:1:2::9:443",
    "[2001:db8:1:2::9]:443",
    "[2001:db8:1:2::9]",
    "2001:db8:1:2:ffff:ffff:ffff:ffff:1",
  ])("IPv6, %s: its /64", (peer) => {
    expect(networkOf(peer)).toBe("2001:db8:1:2::/64");
  });

  it("tells networks apart, also where zeros are left out", () => {
    expect(networkOf("2001:db8::1:50051")).toBe("2001:db8:0:0::/64");
    expect(networkOf("2001:db8:0:1::1:50051")).toBe("2001:db8:0:1::/64");
    expect(networkOf("::1:50051")).toBe("0:0:0:0::/64");
    expect(networkOf("[fe80::1%eth0]:1")).toBe("fe80:0:0:0::/64");
  });

  it("takes what is no address as it is", () => {
    expect(networkOf("unknown")).toBe("unknown");
  });
});
