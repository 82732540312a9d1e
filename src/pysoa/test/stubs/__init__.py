"""How ``pysoa.test.stub_service.stub_action`` works: which stubs are active, how clients see them, what they answer."""
