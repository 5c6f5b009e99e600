"""A RouterOS router that exists only on a loopback socket, speaking the API as the vendor documents it.

Everything here serves the lab and the tests. Nothing above imports it but the lab's own command, and it imports nothing of the product
but `domain.clock`.
"""
